import numpy as np
import pytest

from deblur_keras.sheets import contact_sheet


def flat(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


RED, BLUE = (200, 10, 20), (10, 20, 200)


def box(sheet, colour):
    """Bounding box of one colour: top, left, bottom, right, and its count of pixels."""
    rows, columns = np.nonzero((sheet == np.uint8(colour)).all(axis=-1))
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1, len(rows)


def test_images_stand_side_by_side_whole_and_unscaled():
    sheet = contact_sheet([[flat(40, 60, RED), flat(40, 60, BLUE)]], ["blurred", "restored"])
    red, blue = box(sheet, RED), box(sheet, BLUE)
    for top, left, bottom, right, count in (red, blue):
        assert (bottom - top, right - left, count) == (40, 60, 2400)
    assert red[0] == blue[0]
    assert red[3] < blue[1]
    assert sheet.dtype == np.uint8
    assert (sheet[:, 0] == 255).all()


def test_titles_are_drawn_above_and_captions_below():
    arguments = [[flat(40, 200, RED)]], ["blurred"]
    plain, captioned = contact_sheet(*arguments), contact_sheet(*arguments, ["21.5 dB"])
    top, _, bottom, _, _ = box(plain, RED)
    assert (plain[:top] < 100).any()
    assert (plain[bottom:] == 255).all()
    assert (captioned[bottom:] < 100).any()
    np.testing.assert_array_equal(captioned[: len(plain)][:bottom], plain[:bottom])


def test_captions_of_cells_stand_under_their_cells():
    row = [flat(40, 200, RED), flat(40, 200, BLUE)]
    sheet = contact_sheet([row], ["a", "b"], [["", "30.1 dB"]])
    bottom = box(sheet, RED)[2]
    middle = (box(sheet, RED)[3] + box(sheet, BLUE)[1]) // 2
    assert (sheet[bottom:, :middle] == 255).all()
    assert (sheet[bottom:, middle:] < 100).any()


def test_large_images_are_reduced_by_area():
    board = np.indices((100, 100)).sum(axis=0) % 2
    checks = np.repeat((board * 200).astype(np.uint8)[..., None], 3, axis=-1)
    sheet = contact_sheet([[checks]], ["t"], cell=50)
    *_, count = box(sheet, (100, 100, 100))
    assert count >= 50 * 50  # every 2x2 block of 0, 200, 200, 0 has the mean 100


def test_small_images_are_enlarged_by_whole_factors_only():
    sheet = contact_sheet([[flat(10, 30, RED)]], ["t"], cell=100)
    top, left, bottom, right, _ = box(sheet, RED)
    assert (bottom - top, right - left) == (30, 90)


def test_rows_may_be_ragged_grey_and_empty():
    rows = [[None, flat(20, 30, RED)], [np.full((20, 30), 7, np.uint8)], [None]]
    sheet = contact_sheet(rows, ["a", "b"], [None, "a caption", ["x", "y"]])
    assert box(sheet, RED)[0] < box(sheet, (7, 7, 7))[0]


def test_long_text_stays_inside_the_sheet():
    words = "a very long caption " * 9 + "a_name_without_any_space_that_is_far_too_long.png"
    sheet = contact_sheet([[flat(20, 120, RED)]], ["title " * 20], [[words]])
    assert sheet.shape[1] == 120 + 16
    assert (sheet[:, :4] == 255).all()
    assert (sheet[:, -4:] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], ["a"]), "at least one image"),
        (([[None]], ["a"]), "at least one image"),
        (([[flat(2, 2, 0)] * 2], ["a"]), "title for each of 2 columns, got 1"),
        (([[flat(2, 2, 0)]], ["a"], []), "caption for each of 1 rows, got 0"),
        (([[flat(2, 2, 0)]], ["a"], [["x", "y"]]), "at most 1 captions"),
        (([[np.zeros((2, 2, 3))]], ["a"]), "uint8 images.*float64"),
        (([[flat(2, 2, 0)]], ["a"], None, 0), "at least 1 px"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(*arguments)
