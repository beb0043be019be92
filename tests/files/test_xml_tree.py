"""XML files: trees, and what is refused before it costs anything."""

import pytest

from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.files import xml_tree
from gluon_liver.files.xml_tree import read_xml


def test_a_tree_as_it_is_written(tmp_path):
    path = tmp_path / "a.xml"
    text = '<?xml version="1.0" encoding="utf-16"?><a x="&lt;1"><!-- b --><b>t&amp;u<c/>v</b></a>'
    path.write_text(text, encoding="utf-16")
    root = read_xml(path)
    assert (root.tag, root.get("x"), root[0].text, root[0][0].tail) == ("a", "<1", "t&u", "v")


@pytest.mark.parametrize("name, bound", [("MAX_DEPTH", 2), ("MAX_ELEMENTS", 2), ("MAX_BYTES", 10)])
def test_bounds(tmp_path, monkeypatch, name, bound):
    (tmp_path / "a.xml").write_text("<a><b/></a>")
    monkeypatch.setattr(xml_tree, name, bound + 1)
    read_xml(tmp_path / "a.xml")
    monkeypatch.setattr(xml_tree, name, bound - (name != "MAX_BYTES"))
    with pytest.raises(AnnotationError, match="nested more than|more than"):
        read_xml(tmp_path / "a.xml", error=AnnotationError)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no.xml cannot be read: "):
        read_xml(tmp_path / "no.xml")
    (tmp_path / "a.xml").write_text('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')
    with pytest.raises(InputError, match="line 1: a document type"):
        read_xml(tmp_path / "a.xml")
