"""The sample repository's own tests, which use the plugin's fixtures. They pass there and here."""

import pytest

from contracts import assert_conforms


def test_the_event_of_the_spec_conforms(golden):
    assert_conforms(golden("spec-example"))


def test_a_fortnightly_run_does_not(golden):
    with pytest.raises(AssertionError, match="/cadence: found 'fortnightly'"):
        assert_conforms(golden("spec-example") | {"cadence": "fortnightly"})
