"""Warnings of the libraries beneath that are left out, and no others, for no longer than is meant."""

import warnings

from maxvit_mm.openmmlab.quiet import without


def test_one_message_is_left_out_and_others_are_not():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with without("The shape (of all)"):
            warnings.warn("The shape (of all) will change", stacklevel=1)
            warnings.warn("The shape of one", stacklevel=1)
        warnings.warn("The shape (of all) has changed", stacklevel=1)
    assert [str(each.message) for each in said] == ["The shape of one", "The shape (of all) has changed"]


def test_filters_are_what_they_were_though_another_thread_left_its_own_meanwhile():
    before = list(warnings.filters)
    other = warnings.catch_warnings()
    other.__enter__()
    warnings.simplefilter("ignore")
    with without("The shape"):
        other.__exit__(None, None, None)
    assert warnings.filters == before
