"""The model card of an exported student: where it comes from, how good it is, how it is used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from pipeline.shipping.verdicts import MUCH, Verdict


@dataclass(frozen=True)
class Source:
    """A corpus that the student learnt from; None where something is not known or not there."""

    language: str | None
    license: str | None
    sentences: Mapping[str, int]
    """By split: train, dev, test, transfer."""
    teacher: str | None
    teacher_f1: float | None
    """On test, in percent."""


@dataclass(frozen=True)
class Story:
    """All that a card tells of one variant of one student."""

    recipe: str
    seed: str
    variant: str
    license: str | None
    labels: Sequence[str]
    scheme: str
    corpora: Mapping[str, Source]
    settings: Mapping[str, Any]
    """Sections of the parameters: recipe, training, teachers, variant."""
    taught: bool
    """Whether a teacher had a say."""
    verdict: Verdict
    hub: bool
    """Whether there is a Hugging Face model beside it."""


def card(story: Story) -> str:
    """The card in Markdown, with YAML front matter as the Hugging Face hub reads it."""
    sections = {
        "": _introduction(story),
        "What it was made from": _origin(story),
        "Scores": _scores(story),
        "Size": _size(story.verdict),
        "Use": _use(story),
        "Limits": _limits(story),
        "Licence": _licence(story),
    }
    text = f"---\n{_yaml(front_matter(story))}---\n\n# {story.recipe} ({story.variant})\n"
    for title, lines in sections.items():
        text += (f"\n## {title}\n\n" if title else "\n") + "\n".join(lines) + "\n"
    return text


def front_matter(story: Story) -> dict[str, Any]:
    """What programs read of a card."""
    languages = sorted({source.language for source in story.corpora.values() if source.language})
    origin = ["knowledge-distillation"] if story.taught else []
    return {
        **({"language": languages} if languages else {}),
        "license": story.license or "unknown",
        "library_name": "onnx",
        "pipeline_tag": "token-classification",
        "tags": ["token-classification", "sequence-labelling", "onnx", "limbeck", *origin],
        "metrics": ["f1", "precision", "recall"],
    }


def speed_section(figures: Mapping[str, Any], machine: str) -> str:
    """What `limbeck speed` measured of the student, to put below a card."""
    latency = figures["latency_ms"]
    return (
        f"\n## Speed\n\nMeasured by `limbeck speed` on one thread of {machine}, from words to "
        f"tags: {figures['sentences_per_second']:,} sentences and "
        f"{figures['words_per_second']:,} words a second in batches. One sentence alone takes "
        f"{latency['p50']} ms (median), {latency['p95']} ms (95th percentile). On other machines "
        "it is another.\n"
    )


def _introduction(story: Story) -> list[str]:
    what = "distilled from a larger model" if story.taught else "trained on annotated text"
    return [
        f"A small tagger for CPUs, {what}. It finds spans of these labels: "
        f"{', '.join(story.labels)} (scheme {story.scheme}). It runs on ONNX Runtime and NumPy; "
        "PyTorch is not needed.",
    ]


def _origin(story: Story) -> list[str]:
    rows = [
        [
            name,
            source.language or "not stated",
            source.license or "not stated",
            source.sentences.get("train", 0),
            source.sentences.get("transfer", 0),
            (source.teacher if story.taught else None) or "–",
        ]
        for name, source in story.corpora.items()
    ]
    head = ["corpus", "language", "licence", "train", "unlabelled", "teacher"]
    return [
        *_table(head, rows),
        "",
        f"Numbers are sentences. Recipe `{story.recipe}`, seed {story.seed}:",
        "",
        "```yaml",
        *_yaml(story.settings).splitlines(),
        "```",
    ]


def _scores(story: Story) -> list[str]:
    ours, theirs = story.verdict.scores, story.verdict.float32
    rows = [
        [
            name,
            _percent(ours.f1.get(name)),
            _percent(theirs.f1.get(name)),
            _percent(source.teacher_f1),
            _percent(ours.dev.get(name)),
            _percent(theirs.dev.get(name)),
        ]
        for name, source in story.corpora.items()
    ]
    head = ["corpus", "test", "test, float32", "test, teacher", "dev", "dev, float32"]
    labels = [
        [corpus, label, *(_percent(found[key]) for key in ("f1", "precision", "recall")),
         found["spans"]]
        for corpus, by_label in ours.labels.items()
        for label, found in by_label.items()
    ]  # fmt: skip
    return [
        "F1 of spans in percent, strict: first word, last word and label are right.",
        "",
        *_table(head, rows),
        "",
        _loss(story.verdict),
        "",
        *_table(["test", "label", "F1", "precision", "recall", "spans"], labels),
    ]


def _loss(verdict: Verdict) -> str:
    text = f"Against float32 this variant loses {verdict.loss:.2f} points on dev, mean over corpora"
    return text + (f": **more than {MUCH}**." if verdict.loses_much else ".")


def _size(verdict: Verdict) -> list[str]:
    return [
        f"{verdict.parameters:,} weights; {verdict.size:,} bytes in the files that tagging needs, "
        f"{verdict.deflated:,} packed by deflate.",
    ]


def _use(story: Story) -> list[str]:
    lines = [
        "Meant for text like that of the corpora above. With limbeck:",
        "",
        "```sh",
        "echo 'Ada Lovelace lived in London .' | limbeck predict FOLDER",
        "```",
        "",
        "Without it: `emissions.onnx` gives scores [batch, words, tags] from the arrays that "
        "`reader.json` describes, `transitions.npy` holds the scores between tags, and the best "
        "path through both is the answer.",
    ]
    if story.hub:
        lines += [
            "",
            "`huggingface/` holds the same network for `transformers`: "
            '`pipeline("token-classification", model="huggingface", '
            'aggregation_strategy="first")`. That library takes the best tag of each word by '
            "itself, so its answers differ where transitions decide.",
        ]
    return lines


def _limits(story: Story) -> list[str]:
    return [
        "- On other text, in other languages and for names that are written otherwise, scores are "
        "lower; measure before you rely on it.",
        "- It repeats what its corpora and its teacher have wrong or leave out, people's names "
        "among them. Decisions about people want a person to look.",
        "- Confidence is that of the model: how often it is right at a given confidence was not "
        "measured here.",
    ]


def _licence(story: Story) -> list[str]:
    stated = sorted({source.license for source in story.corpora.values() if source.license})
    ours = f"`{story.license}`." if story.license else "not stated by those who made it."
    return [
        f"Of this model: {ours} Of the corpora: {', '.join(stated) or 'not stated'}. What the "
        "licences of corpora and teacher ask of a model that learnt from them is for whoever "
        "passes it on to find out.",
    ]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


def _yaml(value: Mapping[str, Any]) -> str:
    text, yaml = StringIO(), YAML()
    yaml.default_flow_style = False
    yaml.width = 10_000  # no line is broken
    yaml.dump(dict(value), text)
    return text.getvalue()
