"""torchrun, which leaves it to its processes to say why they ended: no traceback of its own after theirs."""

import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

if __name__ == "__main__":
    try:
        main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        sys.exit(f"process {rank} ended with status {failure.exitcode}; what it said stands above")
