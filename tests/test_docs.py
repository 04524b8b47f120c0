"""What the documentation says is so: links, keys, commands, code, YAML, and the tree of modules."""

import ast
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pydantic
import pytest
import typer
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from pipeline.config import parse
from pipeline.errors import InputError
from pipeline.overlay import overlaid
from pipeline.predictor import Predictor
from pipeline.raw.untagged import READERS
from pipeline.reading.readers import load_reader
from stages.cli import app
from stages.params import Params, read_params
from tests import test_objectives
from tests.exported import exported

ROOT = Path(__file__).parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "data/embedded/README.md"])
PIPELINE = ROOT / "docs" / "pipeline.md"
EXTENDING = ROOT / "docs" / "extending.md"
EXPORT = ROOT / "docs" / "export.md"
PREDICT = ROOT / "docs" / "predict.md"
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> Iterator[str]:
    """Lines of shell blocks, those that end in a backslash joined."""
    for path in DOCS:
        for block in blocks(path, "sh"):
            yield from re.sub(r"\\\n\s*", "", block).strip().splitlines()


# Links


def anchors(path: Path) -> set[str]:
    """What GitHub makes of headings."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", DOCS, ids=name_of)
def test_links_lead_somewhere(path: Path):
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"", text)
    for link in (a or b for a, b in links):
        if link.startswith(("http:", "https:")):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{name_of(path)}: {link} leads nowhere"
        assert not anchor or anchor in anchors(file), f"{name_of(path)}: no heading {link}"


# Modules


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def test_the_tree_of_modules_is_that_of_the_files():
    """Groups and their order are free; each module stands in one, with its first line."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    shown = set(re.findall(r"^((?:pipeline|stages)/[\w/]+\.py +\S.*)$", text, re.MULTILINE))
    files = sorted([*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py")])
    files = [path for path in files if path.name != "__init__.py"]
    expected = {f"{name_of(path):<39}{first_line(path)}" for path in files}
    paste = "\n".join(sorted(expected - shown))
    remove = "\n".join(sorted(shown - expected))
    assert shown == expected, f"CONTRIBUTING.md lacks\n{paste}\nand should not have\n{remove}"


# Stages


def shown(text: str) -> str:
    """A path or command of dvc.yaml as readers see it: `${item.teacher}` is `<teacher>`."""
    text = text.replace("${prepare.raw}", "prepare.raw").replace(
        "${grid.seeds[0]}", "<grid.seeds[0]>"
    )
    return re.sub(r"\$\{(?:item\.)?([\w.]+)\}", lambda m: f"<{m[1]}>", " ".join(text.split()))


def section(name: str) -> str:
    return re.split(r"^### ", PIPELINE.read_text().split(f"\n### {name}\n")[1], flags=re.M)[0]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_documented_as_it_stands_in_the_graph(stage: str):
    text, entry = section(stage), STAGES[stage]
    assert f"```sh\n{shown(entry['cmd'])}\n```" in text
    outs = [*entry.get("outs", []), *(name for each in entry.get("metrics", []) for name in each)]
    inputs = [path for path in entry["deps"] if not path.endswith(".py")]
    for path in (*inputs, *outs):
        assert f"`{shown(path)}`" in text, f"docs/pipeline.md, {stage}: {path}"
    for key in entry.get("params", []):
        assert f"`{key.split('.')[0]}`" in text or stage == "compare", f"{stage}: section {key}"


def test_the_table_of_edits_is_that_of_the_graph():
    text = EXTENDING.read_text()
    rows = re.findall(r"^\| `pipeline/\w+\.py` \| .* \|$", text, re.MULTILINE)
    paths = [row.split("`")[1] for row in rows]
    readers = {
        path: [f"`{s}`" for s, each in STAGES.items() if path in each["deps"]] for path in paths
    }
    paste = [f"| `{path}` | {', '.join(found) or 'nothing'} |" for path, found in readers.items()]
    assert rows == paste, "docs/extending.md should have\n" + "\n".join(paste)


@pytest.mark.parametrize("line", sorted({c for c in commands() if re.match("limbeck [a-z]", c)}))
def test_commands_and_their_options_exist(line: str):
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    name, *words = line.split(" && ")[0].split()[1:]
    options = {option for parameter in known[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_environment_variables_are_documented():
    text = PIPELINE.read_text()
    for path in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py")]:
        read = path.read_text()
        named = re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"|\"(\w+)\" (?:not )?in os.environ", read)
        for variable in (a or b for a, b in named):
            assert f"| `{variable}` |" in text or f"`{variable}`" in text, variable


def messages() -> Iterator[str]:
    """Every text in the code, with … for what is put in at run time."""
    for path in [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("stages/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(getattr(part, "value", "…") if isinstance(part, ast.Constant) else "…"
                              for part in node.values)  # fmt: skip
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_in_the_table_of_troubles_are_those_of_the_code():
    table = PIPELINE.read_text().split("\n## Troubleshooting\n")[1]
    told = re.findall(r"^\| (?:``([^|]*)``|`([^`|]*)`) \|", table, re.MULTILINE)
    known = list(messages())
    assert told
    for message in (a or b for a, b in told):
        parts = [re.escape(part.strip()) for part in message.split("…") if part.strip()]
        assert any(re.search(".*".join(parts), text, re.DOTALL) for text in known), message


# Parameters


def settings_in(kind: Any) -> Iterator[type]:
    """Every settings class that a type may hold, itself first."""
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
        for inner in get_type_hints(kind, include_extras=True).values():
            yield from settings_in(inner)
    for inner in get_args(kind):
        yield from settings_in(inner)


SETTINGS = {kind.__name__: kind for kind in settings_in(Params)}


def tables() -> dict[str, list[list[str]]]:
    """The rows below each `<!-- settings: Class -->`."""
    found = re.findall(r"<!-- settings: (\w+) -->\n((?:\|.*\n)+)", PIPELINE.read_text())
    assert len({name for name, _ in found}) == len(found), "a settings class has two tables"
    return {
        name: [[cell.strip() for cell in row.strip("|").split(" | ")]
               for row in text.strip().splitlines()[2:]]
        for name, text in found
    }  # fmt: skip


def keys(kind: type) -> dict[str, Field]:
    return {field.name: field for field in fields(kind)}


def default(field: Field) -> Any:
    """What a key is where it is left out; MISSING where it may not be."""
    value = field.default
    if isinstance(value, FieldInfo):
        value = value.get_default(call_default_factory=True)
    if field.default_factory is not MISSING:
        value = field.default_factory()
    return value


def choices(kind: Any) -> list[str]:
    """The words that a type allows, wherever it names them."""
    if get_origin(kind) is Literal:
        return [choice for choice in get_args(kind) if isinstance(choice, str)]
    if get_origin(kind) in (Annotated, Union, types.UnionType):
        return [choice for inner in get_args(kind) for choice in choices(inner)]
    return []


def test_every_settings_class_has_a_table_and_nothing_else_has():
    assert {*tables()} == {*SETTINGS}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_key_is_documented_with_its_default_and_choices(name: str):
    kind, rows = SETTINGS[name], tables()[name]
    assert [row[0].strip("`") for row in rows] == [*keys(kind)], f"keys of {name}"
    hints = get_type_hints(kind, include_extras=True)
    for key, declared, written, *_ in rows:
        field, hint = keys(kind)[key.strip("`")], hints[key.strip("`")]
        named = re.findall(r"`([^`]*)`", declared)
        assert {*choices(hint)} <= {*named}, f"{name}.{key}: choices"
        if field.name == "kind" or default(field) is MISSING:
            assert written == "required", f"{name}.{key}"
        else:
            value = YAML(typ="safe").load(written.strip("`"))
            assert parse(hint, value, f"{name}.{key}") == default(field), f"{name}.{key}: default"


# YAML and -S


YAMLS = [(path, block) for path in DOCS for block in blocks(path, "yaml")]


@pytest.mark.parametrize(("path", "block"), YAMLS, ids=[name_of(path) for path, _ in YAMLS])
def test_yaml_may_be_laid_over_the_parameters(path: Path, block: str, tmp_path: Path):
    """As `limbeck apply` would; a grid that the default cannot keep is part of the block."""
    experiment, params = tmp_path / "experiment.yaml", tmp_path / "params.yaml"
    experiment.write_text(block)
    params.write_text(overlaid(ROOT / "params.yaml", experiment))
    assert read_params(params)


def changes() -> list[str]:
    """What follows each `-S`; of several values the first."""
    found = [re.findall(r"-S '?([^\s']+)'?", line) for line in commands()]
    return sorted({each for several in found for each in several})


@pytest.mark.parametrize("change", changes())
def test_what_s_sets_is_a_parameter(change: str, tmp_path: Path):
    data: Any = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    place, _, value = change.partition("=")
    section = data
    *path, key = place.lstrip("+").split(".")
    for name in path:
        section = section[name]
    assert key in section or place.startswith("++"), "two pluses where the key may be new"
    one = value if value.startswith("[") else value.split(",")[0]
    section[key] = YAML(typ="safe").load(re.sub(r"([:,])(?=\S)", r"\1 ", one))
    assert parse(Params, data, "params.yaml: ")


# Code


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the code blocks of extending.md define, run one after the other."""
    module = types.ModuleType("examples_of_extending")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks(EXTENDING, "python"):
        exec(compile(block, name_of(EXTENDING), "exec"), vars(module))
    return vars(module)


def test_the_tests_in_the_documentation_pass(examples: dict[str, Any]):
    tests = [test for name, test in examples.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()


CONTRACT = [
    test_objectives.test_one_finite_loss_a_sentence_and_a_gradient,
    test_objectives.test_padding_changes_nothing,
    test_objectives.test_a_sentence_without_a_teacher_costs_nothing,
    test_objectives.test_what_the_student_forbids_costs_no_infinity,
]


@pytest.mark.parametrize("contract", CONTRACT, ids=lambda contract: contract.__name__)
def test_the_objective_of_the_documentation_keeps_the_contract(examples, contract):
    contract(examples["Agreement"])


def test_contracts_cover_their_unions():
    from tests import test_encoders, test_formats, test_noise, test_students

    asked = {
        test_objectives.Objective: set(test_objectives.OBJECTIVES),
        test_noise.Noise: set(test_noise.NOISES),
        test_students.Student: set(test_students.STUDENTS),
        test_encoders.Encoder: {type(each) for each in test_encoders.kinds(Path("encoder"))},
        test_formats.Format: {type(each) for each in test_formats.FORMATS},
    }
    for union, members in asked.items():
        named = get_args(union)[0]
        assert members == set(get_args(named) or [named])


def test_the_objective_of_the_documentation_is_known_once_in_the_union(examples):
    agreement = examples["Agreement"]
    union = Union[(*test_objectives.OBJECTIVES, agreement)]
    chosen = parse(
        Annotated[union, pydantic.Field(discriminator="kind")], {"kind": "agreement"}, ""
    )
    assert isinstance(chosen, agreement)


def test_the_format_of_the_documentation_reads_and_refuses(examples, tmp_path: Path):
    path = tmp_path / "raw.txt"
    path.write_text("Ada/B-PER and/or/O\n\nwrote/O\n")
    found = [(each.words, each.tags) for each in examples["Joined"]().read(str(path))]
    assert found == [(["Ada", "and/or"], ["B-PER", "O"]), (["wrote"], ["O"])]
    path.write_text("Ada wrote\n")
    with pytest.raises(InputError, match=r"raw\.txt:1: expected word/tag"):
        list(examples["Joined"]().read(str(path)))


def test_the_code_that_does_without_limbeck_finds_what_a_predictor_finds(tmp_path: Path):
    (code,), names = blocks(EXPORT, "python"), {}
    exec(compile(code, name_of(EXPORT), "exec"), names)
    folder = exported(tmp_path / "student")
    for words in (["Ada", "lives", "in", "New", "York"], ["London"], ["nowhere", "Hopper"]):
        found = names["tag"](folder, load_reader(folder)([words]))
        assert found == Predictor.load(folder).tag([words])[0]


def test_no_block_of_python_goes_untried():
    tried = [name_of(path) for path in (EXPORT, EXTENDING, PREDICT)]
    assert [name_of(path) for path in DOCS if blocks(path, "python")] == tried


def test_the_example_of_predictions_prints_what_it_says(tmp_path, monkeypatch, capsys):
    exported(tmp_path / "models/exported/posterior_transfer")
    monkeypatch.chdir(tmp_path)
    (code,), (said,) = blocks(PREDICT, "python"), blocks(PREDICT, "text")
    exec(compile(code, name_of(PREDICT), "exec"), {})
    assert capsys.readouterr().out == said


def test_the_options_of_predict_are_documented():
    shown = re.findall(r"^\| `(--[\w-]+)`", PREDICT.read_text(), re.MULTILINE)
    known = typer.main.get_command(app).commands["predict"].params  # type: ignore[attr-defined]
    assert shown == [each.opts[0] for each in known if each.opts[0].startswith("--")]
    formats = re.findall(r"^\| `(\w+)` \| (?:found|a|some|the) ", PREDICT.read_text(), re.MULTILINE)
    assert {*READERS} <= {*formats}
