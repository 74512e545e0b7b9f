import cv2
import numpy as np

from unmask.faces.likeness import look_distance, look_of


def test_brightness_does_not_count_and_another_face_does(portrait, blended):
    face = portrait[60:316, 130:386]
    brighter = np.clip(face.astype(int) + 15, 0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(face, (0, 0), 2)
    turned = np.ascontiguousarray(face[::-1])
    one = look_of(face)
    assert look_distance(one, look_of(brighter)) < 4
    assert look_distance(one, look_of(blurred)) < 4
    assert look_distance(one, look_of(blended[60:316, 130:386])) < 12
    assert look_distance(one, look_of(turned)) > 40
