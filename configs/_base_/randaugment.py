# RandAugment as Google's EfficientNet code has it, from which MaxViT's comes: two of sixteen operations, each
# at a probability drawn from 0.2 to 0.8 (which is one of 0.5), at magnitude 15 where 10 is the full range.
# That goes beyond: a turn of 45 degrees, a cut of 120 pixels, a solarization that leaves all as it is.
factor = dict(magnitude_range=(-0.9, 0.9), random_negative_prob=0.0)  # 0.1 to 1.9, less one
operations = [
    dict(type="AutoContrast"),
    dict(type="Equalize"),
    dict(type="Invert"),
    dict(type="Rotate", magnitude_range=(0, 30)),
    dict(type="Posterize", magnitude_range=(0, 4)),
    dict(type="Solarize", magnitude_range=(0, 256)),
    dict(type="SolarizeAdd", magnitude_range=(0, 110)),
    dict(type="ColorTransform", **factor),
    dict(type="Contrast", **factor),
    dict(type="Brightness", **factor),
    dict(type="Sharpness", **factor),
    dict(type="Shear", magnitude_range=(0, 0.3), direction="horizontal"),
    dict(type="Shear", magnitude_range=(0, 0.3), direction="vertical"),
    dict(type="Cutout", magnitude_range=(0, 80)),  # both sides of its centre together
]


def moves(side):  # 100 pixels, whatever the image: here as shares of it
    share = (0, 100 / side)
    return [dict(type="Translate", magnitude_range=share, direction=d) for d in ("horizontal", "vertical")]


moves_224, moves_384, moves_512 = moves(224), moves(384), moves(512)
randaugment = dict(
    type="RandAugment",
    policies=[*operations, *moves_224],
    num_policies=2,
    magnitude_level=15,
    total_level=10,
    hparams=dict(pad_val=128, interpolation="nearest"),
)
