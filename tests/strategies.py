"""Hypothesis strategies that several test files draw from."""

from hypothesis import strategies as st

# Characters that meet in the rules' corners, more often than chance would have them meet.
CORNERS = st.lists(
    st.one_of(
        st.sampled_from("aIZs09 .,:;!?'’\"“”‘-–—_*#@$€%&/()[]=~`\u0301\u200d\ufe0f\u00a0\u2028字かーกำक्שل👍🏽🇫♀\u20e3"),
        st.sampled_from(["n't", "--", "...", "Mr.", "U.S.", "http://", "www.", "<unk>", "@-@", "l'", "'s", "'tis"]),
    ),
    max_size=40,
).map("".join)
TEXTS = st.one_of(st.text(max_size=60), CORNERS)
TOKENS = st.lists(
    st.one_of(st.text(min_size=1, max_size=6), CORNERS.filter(bool), st.sampled_from(['"', "'", "_", ",", "--"]))
)
