"""A small table for a notebook."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from simsplit.util.labelled import table


def test_it_has_a_row_for_each_name() -> None:
    root = ET.fromstring(table("Problem", {"rows": 7, "kernel": "affine"}))  # noqa: S314, our own
    assert root.findtext("caption") == "Problem"
    assert [(row.findtext("th"), row.findtext("td")) for row in root.iter("tr")] == [
        ("rows", "7"),
        ("kernel", "affine"),
    ]


def test_what_users_wrote_is_text_and_no_markup() -> None:
    html = table("<b>", {"a & b": "<script>alert('x')</script>"})
    root = ET.fromstring(html)  # noqa: S314, our own
    assert root.findtext("caption") == "<b>"
    assert [row.findtext("td") for row in root.iter("tr")] == ["<script>alert('x')</script>"]
    assert "<script" not in html


def test_a_picture_stands_below() -> None:
    assert table("Run", {}, "<svg></svg>").endswith("</table><svg></svg>")
