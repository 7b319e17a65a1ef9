"""`ami conformance`: the tests of `ami_conformance` with a real link, real time and the options of `ami meter`."""
