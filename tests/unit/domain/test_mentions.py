"""Mentions: which @username of a text is a mention."""

import pytest

from app.domain.mentions import MAX_MENTIONS, find_mentions, mentioned_usernames


@pytest.mark.parametrize(
    "text",
    [
        "@ann",
        "hi @ann!",
        "(@ann)",
        "@ann.",
        "@ann, @ann",
        "@ann's",
        "@Ann",
        "\n@ann\n",
        "@ann@",
        "@ann @ home",
        "@ann-marie",
        "漢字@ann",
        "@ann漢字",
        "スーパー@ann",  # the long vowel mark belongs to several scripts
        "かな@annです",
        "\u0e17\u0e35\u0e48@ann",  # Thai, which ends in marks
        "@ann\u0e17\u0e35\u0e48",
        "\u0eaa\u0eb0\u0e9a\u0eb2\u0e8d@ann",  # Lao
        "\u179f\u17bd\u179f\u17d2\u178f\u17b8@ann",  # Khmer
        "안녕@ann",
        "🎉@ann🎉",
        "\u2764\ufe0f@ann",
        "1\ufe0f\u20e3@ann",
        "x @ann, y",
        "“@ann”",
    ],
)
def test_text_mentions_ann(text: str) -> None:
    assert mentioned_usernames(text) == ["ann"]


@pytest.mark.parametrize(
    "text",
    [
        "https://site.example/@ann",
        "a@ann.example",
        "@ann@other.example",
        "@anné",
        "@anne\u0301",
        "@annи",
        "@ann\u0301",
        "é@ann",
        "e\u0301@ann",
        "ß@ann",
        "5@ann",
        "\u0665@ann",
        "_@ann",
        "@@ann",
        ".@ann",
        "-@ann",
        "/@ann",
        "@an",
        "@" + "a" * 31,
        "@ann님",
        "ann",
        "@ ann",
        "\uff20ann",
    ],
)
def test_text_mentions_nobody(text: str) -> None:
    assert mentioned_usernames(text) == []


def test_user_is_mentioned_once_and_found_at_each_position() -> None:
    text = "@ann and @Bob_2, @ANN"
    assert mentioned_usernames(text) == ["ann", "bob_2"]
    assert [text[mention.start : mention.end] for mention in find_mentions(text)] == [
        "@ann",
        "@Bob_2",
        "@ANN",
    ]


def test_mentions_are_limited_to_the_maximum_number_of_users() -> None:
    names = [f"user{number}" for number in range(MAX_MENTIONS + 5)]
    text = " ".join(f"@{name}" for name in [*names, "USER0"])
    assert mentioned_usernames(text) == names[:MAX_MENTIONS]
    assert find_mentions(text)[-1].username == "user0"
