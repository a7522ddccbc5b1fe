# Images as Google's recipes have them: scaled at random, cut to a square and padded to it, for a config to
# take the side and range of its recipe. Padding is the data preprocessor's, with pad_size_divisor = the
# side: zeros after normalisation, as there.
meta_keys = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")


def square_input(side, ratio_range, masks):
    load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True, with_mask=masks)]
    return dict(
        train=[
            *load,
            dict(type="RandomFlip", prob=0.5),
            dict(type="RandomResize", scale=(side, side), ratio_range=ratio_range, keep_ratio=True),
            dict(
                type="RandomCrop",
                crop_type="absolute",
                crop_size=(side, side),
                recompute_bbox=masks,
                allow_negative_crop=True,
            ),
            dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
            dict(type="PackDetInputs"),
        ],
        test=[
            load[0],
            dict(type="Resize", scale=(side, side), keep_ratio=True),
            load[1],
            dict(type="PackDetInputs", meta_keys=meta_keys),
        ],
    )


jitter_896 = square_input(896, (0.1, 2.5), masks=True)
jitter_640 = square_input(640, (0.1, 2.5), masks=True)
mild_jitter_640 = square_input(640, (0.8, 1.2), masks=False)
