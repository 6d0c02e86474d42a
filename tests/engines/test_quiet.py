import logging

from engines.quiet import quiet


def test_a_library_says_nothing_but_errors_for_a_while(caplog):
    library = logging.getLogger("some.library")
    with caplog.at_level(logging.INFO, "some.library"):
        with quiet("some.library"):
            library.warning("a part is missing")
            library.error("nothing works")
        library.info("goes on")
    assert [record.getMessage() for record in caplog.records] == ["nothing works", "goes on"]
