"""The events a session keeps for a network to come."""

from service.sessions.sections import History, append_events, decode_history, keep_first

ONE, OTHER = b"schema-1", b"schema-2"


def test_events_are_kept_in_their_order():
    section = append_events(None, ONE, b"ab", max_bytes=4)

    section = append_events(section, ONE, b"cd", max_bytes=4)

    assert decode_history(section) == History(ONE, True, b"abcd")


def test_history_too_long_is_given_up_for_good():
    section = append_events(None, ONE, b"abcde", max_bytes=4)

    assert decode_history(section) == History(ONE, False, b"")
    assert not decode_history(append_events(section, ONE, b"a", max_bytes=4)).is_whole


def test_session_older_than_its_policy_has_no_history():
    assert not decode_history(b"").is_whole
    assert not decode_history(append_events(b"", ONE, b"ab", max_bytes=4)).is_whole


def test_events_of_two_schemas_do_not_make_a_history():
    section = append_events(None, ONE, b"ab", max_bytes=9)

    assert not decode_history(append_events(section, OTHER, b"c", max_bytes=9)).is_whole


def test_rewound_session_keeps_the_events_it_had_then():
    section = append_events(None, ONE, b"aabbcc", max_bytes=9)

    assert decode_history(keep_first(section, 2, 3)).events == b"aabb"
    assert keep_first(b"", 2, 3) == b""
