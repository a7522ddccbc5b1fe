# Images as Google's segmenters have them: scaled at random to a share of a square, cut to it and padded with
# zeros after normalisation; in testing scaled to fit it, and padded. For a config to take its square.
def square_crops(side, ratio_range, load):
    return dict(
        preprocessor=dict(size=(side, side), test_cfg=dict(size=(side, side))),
        train=[
            dict(type="LoadImageFromFile"),
            load,
            dict(type="RandomFlip", prob=0.5),
            dict(type="RandomResize", scale=(side, side), ratio_range=ratio_range, keep_ratio=True),
            dict(type="RandomCrop", crop_size=(side, side)),
            dict(type="PackSegInputs"),
        ],
        test=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(side, side), keep_ratio=True),
            load,
            dict(type="PackSegInputs"),
        ],
    )


crops_512 = square_crops(512, (0.5, 2.0), dict(type="LoadAnnotations"))
crops_640 = square_crops(640, (0.5, 1.5), dict(type="maxvit_mm.openmmlab.semantic_datasets.LoadSemanticMap"))
