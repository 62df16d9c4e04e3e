import pytest

from deblur_keras.evaluation.detection import DetectionError, DrawnBoxes

NAMES = ["person", "sofa", "tvmonitor", "traffic light"]


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_both_forms_give_the_same_boxes(folder, tmp_path):
    corners = DrawnBoxes(folder(a="person 20 10 60 30\n\ntraffic light 0 0 5 9"), NAMES)
    assert corners.form == "corners"
    expected = [[0, 1.0, 20.0, 10.0, 60.0, 30.0], [3, 1.0, 0.0, 0.0, 5.0, 9.0]]
    assert corners.boxes("a", 100, 200).to_list() == expected

    yolo = DrawnBoxes(folder(a="0 0.2 0.2 0.2 0.2\nTraffic-Light 0.0125 .045 .025 .09"), NAMES)
    assert yolo.form == "yolo"
    assert yolo.boxes("a", 100, 200).to_list() == expected


def test_the_form_may_be_given(folder):
    text = "0 0.1 0.2 0.5 0.6"  # by looking, parts of the image
    drawn = DrawnBoxes(folder(a=text), NAMES, form="corners")
    assert drawn.boxes("a", 8, 8).corners.tolist() == [[0.1, 0.2, 0.5, 0.6]]
    with pytest.raises(DetectionError, match="one of yolo, corners as the boxes' form; got 'voc'"):
        DrawnBoxes(folder(), NAMES, form="voc")


def test_names_of_voc_and_coco_are_the_same_classes(folder):
    drawn = DrawnBoxes(folder(a="couch 1 1 9 9\nTV 1 1 9 9\nTV monitor 1 1 9 9"), NAMES)
    assert drawn.boxes("a", 20, 20).labels.tolist() == [1, 2, 2]


def test_numbers_are_places_in_classes_txt_where_there_is_one(folder):
    drawn = DrawnBoxes(folder(a="0 1 1 9 9\n1 1 1 9 9", classes="lamp\nperson\n"), NAMES)
    assert drawn.boxes("a", 20, 20).labels.tolist() == [0]
    assert drawn.unknown == {"lamp": 1}
    plain = folder(classes="")
    (plain / "classes.txt").unlink()
    assert DrawnBoxes(plain, NAMES).boxes("a", 20, 20).labels.tolist() == [0, 1]


def test_unknown_classes_are_left_out_and_counted(folder):
    text = "lamp 1 1 9 9\nperson 1 1 9 9\nlamp 2 2 9 9"
    drawn = DrawnBoxes(folder(a=text, b="vase 1 1 3 3", c=""), NAMES)
    assert drawn.unknown == {"lamp": 2, "vase": 1}
    assert [drawn.unknown_count(name) for name in "abc"] == [2, 1, 0]
    assert [len(drawn.boxes(name, 20, 20)) for name in "abc"] == [1, 0, 0]
    with pytest.raises(DetectionError, match=r"none of the boxes' classes \(lamp, person, vase\)"):
        DrawnBoxes(folder(), ["boat"])


def test_files_are_found_by_the_names_of_pairs(folder):
    root = folder(one__7="person 1 1 9 9", two__7="sofa 1 1 9 9", two__8="sofa 1 1 9 9")
    drawn = DrawnBoxes(root, NAMES)
    assert drawn.boxes("one/7", 20, 20).labels.tolist() == [0]
    assert drawn.boxes("scene/sharp/8", 20, 20).labels.tolist() == [1]
    with pytest.raises(DetectionError, match="several files could hold the boxes of three/7"):
        drawn.boxes("three/7", 20, 20)
    with pytest.raises(DetectionError, match=r"no boxes for 9; expected a file 9\.txt"):
        drawn.boxes("9", 20, 20)


def test_boxes_are_cut_off_at_the_image_and_follow_its_scale(folder):
    drawn = DrawnBoxes(folder(a="person 50 20 100 41"), NAMES)
    assert drawn.boxes("a", 40, 100).corners.tolist() == [[50, 20, 100, 40]]
    assert drawn.boxes("a", 20, 50, scale=0.5).corners.tolist() == [[25, 10, 50, 20]]
    with pytest.raises(DetectionError, match="reach beyond the image of 50x20 px"):
        drawn.boxes("a", 20, 50)
    parts = DrawnBoxes(folder(a="0 0.95 0.5 0.2 1"), NAMES)
    assert parts.boxes("a", 20, 50, scale=0.5).corners.tolist() == [[42.5, 0, 50, 20]]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "person 1 2 3"}, r"a\.txt, line 1: expected a class and four numbers"),
        ({"a": "person 1 2 9 9\n1 2 3 4"}, "line 2: expected a class and four numbers"),
        ({"a": "person 1 2 nan 4"}, "line 1: expected a class and four numbers"),
        ({"a": "0 0.5 0.5 0.1 0.1 0.9"}, "got 6 numbers; confidences and outlines"),
        ({"a": "4 0.5 0.5 0.1 0.1"}, "class number below 4, the number of class names, got 4"),
        ({"a": "0 9 9 1 1"}, r"a\.txt, line 1: expected left < right and .*, got 9 9 1 1"),
        (
            {"a": "0 .5 .5 .1 .1\n\n0 .5 .5 0 .1"},
            r"a\.txt, line 3: expected width and",
        ),
        (
            {"a": "0 .5 .5 .1 -.1"},
            r"line 1: expected width .*, got 0\.5 0\.5 0\.1 -0\.1",
        ),
        ({"a": "0 -.5 .5 .1 .1"}, r"line 1: expected numbers from 0 to 1, got -0\.5 0\.5"),
        ({"a": "0 1 1 9 9", "b": "0 .1 .1 .5 .5"}, r"b\.txt seems to be in parts .* a\.txt in pix"),
        ({}, "a text file of boxes for each image"),
    ],
)
def test_wrong_files(folder, files, message):
    with pytest.raises(DetectionError, match=message):
        DrawnBoxes(folder(**files), NAMES)


def test_pixels_are_no_parts_of_the_image(folder):
    with pytest.raises(DetectionError, match=r"a\.txt, line 1: expected numbers from 0 to 1"):
        DrawnBoxes(folder(a="0 50 20 100 41"), NAMES, form="yolo")


def test_images_without_boxes_are_found_before_anything_is_done(folder):
    drawn = DrawnBoxes(folder(one__7="person 1 1 9 9", two__7="", two__8=""), NAMES)
    drawn.check(["one/7", "scene/8"])
    with pytest.raises(DetectionError, match=r"no boxes for x/9; expected a file x/9\.txt"):
        drawn.check(["one/7", "x/9"])
    many = [f"scene/{number}" for number in range(10, 18)]
    with pytest.raises(DetectionError, match=r"for 8 images: scene/10, .*scene/14 and 3 more; exp"):
        drawn.check(["one/7", *many])
    with pytest.raises(DetectionError, match="several files could hold the boxes of 7"):
        drawn.check(["7"])


def test_the_digest_follows_the_boxes(folder):
    def digest(**files):
        return DrawnBoxes(folder(**files), NAMES).facts()["boxes_sha256"]

    first = digest(a="person 1 1 9 9", b="")
    assert digest(a="0   1 1 9.0 9\n") == first  # other words for the same
    assert len({first, digest(a="person 1 1 9 8"), digest(a="sofa 1 1 9 8"), digest(c="")}) == 4
    assert DrawnBoxes(folder(), NAMES).facts()["boxes_form"] == "corners"


def test_a_folder_is_expected(tmp_path):
    with pytest.raises(DetectionError, match="expected a folder of boxes"):
        DrawnBoxes(tmp_path / "nowhere", NAMES)
