"""Tests mirror the folders of daah; doubles, project, safety and fuzz are beside them."""
