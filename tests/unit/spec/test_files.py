"""Specs in files: defaults of a folder, one file for many pipelines, and faults with file, line and key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.files import find_entry, read_file, read_folder, read_spec
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.yaml_file import lines_of

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files into a folder; gives the folder."""

    def files(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yml").write_text(text, encoding="utf-8")
        return tmp_path

    return files


def specs(folder: Path) -> dict[str, Pipeline]:
    """Name to spec, of pipelines without a fault."""
    entries = read_folder(folder)
    assert [str(one.error) for one in entries if one.error] == []
    return {one.name: one.spec for one in entries if one.spec}


def fault(folder: Path, name: str) -> str:
    """What is wrong with a pipeline."""
    [error] = [one.error for one in read_folder(folder) if one.name == name]
    return str(error)


def test_a_file_names_its_pipeline_unless_it_says_otherwise(write: Write) -> None:
    """A spec with nothing but a comment is one too, if it is a mapping."""
    folder = write(shop="schedule: '@daily'\n", other="name: orders\n", bare="{}\n")
    assert sorted(specs(folder)) == ["bare", "orders", "shop"]
    assert read_spec(folder / "shop.yml").schedule == "@daily"


def test_defaults_hold_for_all_specs_of_the_folder(write: Write) -> None:
    """Mappings key by key, layers and all else as a whole; a spec goes before them."""
    folder = write(
        defaults="owner: team\nretries: {models: 5, tests: 1}\nlayers: {all: 'path:models/'}\ntags: [a]\n",
        shop="retries: {tests: 2}\nlayers: {one: 'tag:x'}\n",
        other="owner: me\ntags: [b]\n",
    )
    found = specs(folder)
    assert sorted(found) == ["other", "shop"]
    shop, other = found["shop"], found["other"]
    assert (shop.owner, shop.retries.models, shop.retries.tests, list(shop.layers)) == ("team", 5, 2, ["one"])
    assert (other.owner, other.tags, other.retries.models, list(other.layers)) == ("me", ("b",), 5, ["all"])
    assert read_spec(folder / "shop.yml") == shop


def test_one_spec_is_many_pipelines(write: Write) -> None:
    """With the value in name, selection, variables and connection; a value that stands alone keeps its type."""
    folder = write(
        providers="""
name: load_{provider}
for_each: {provider: [wcm, un]}
connection: warehouse_{provider}
select: tag:{provider}
layers: {"{provider}": "tag:{provider},path:models/"}
vars: {provider: "{provider}", "{provider}_on": true}
asset_namespace: "goldsmith://{name}"
alerts: {runbook: "https://wiki/{pipeline}/{node}?of={owner}"}
""",
        threads="for_each: {n: [2, 3]}\nprofile: {threads: '{n}'}\n",
    )
    found = specs(folder)
    assert sorted(found) == ["load_un", "load_wcm", "threads_2", "threads_3"]
    un = found["load_un"]
    assert (un.connection, un.select, un.layers) == (
        "warehouse_un",
        ("tag:un",),
        {"un": ("tag:un,path:models/",)},
    )
    assert un.vars == {"provider": "un", "un_on": True}
    assert un.asset_namespace == "goldsmith://{name}"
    assert un.alerts is not None
    assert un.alerts.runbook == "https://wiki/{pipeline}/{node}?of={owner}"
    assert [found[name].profile.threads for name in ("threads_2", "threads_3")] == [2, 3]


def test_several_variables_make_every_combination(write: Write) -> None:
    """Without a name it is made of the file's and the values."""
    folder = write(sales="for_each: {country: [at, de], size: [{name: s, rows: 10}, {name: l, rows: 99}]}\n"
                         "failing_rows: '{size.rows}'\ndescription: '{country} {size}: {size.rows} {{x}}'\n"
    )  # fmt: skip
    found = specs(folder)
    assert sorted(found) == ["sales_at_l", "sales_at_s", "sales_de_l", "sales_de_s"]
    assert (found["sales_de_l"].failing_rows, found["sales_de_l"].description) == (99, "de l: 99 {{x}}")


def test_a_file_for_each_table_and_a_template(write: Write) -> None:
    """What a file holds is the value's parts; lists stay lists."""
    folder = write(
        tables="""
name: load_{table}
for_each: {table: tables/*.yml}
schedule: "{table.schedule}"
ingest: [{source: "lake.{table}", file: "{table.file}", key: "{table.key}", columns: "{table.columns}"}]
""",
        tables__orders="{schedule: '@daily', file: a.csv, key: [id], columns: [id, x]}",
        tables__items="{schedule: '@hourly', file: b.csv, key: [id], columns: [id]}",
        tables__wrong="{schedule: '@hourly', file: b.csv, key: [id]}",
        tables__torn="schedule: [",
        tables__none="- a",
    )
    entries = {one.name: one for one in read_folder(folder)}
    assert sorted(entries) == ["load_items", "load_none", "load_orders", "load_torn", "load_wrong"]
    orders = entries["load_orders"].spec
    assert orders is not None
    assert (orders.schedule, orders.ingest[0].source, orders.ingest[0].columns) == (
        "@daily",
        "lake.orders",
        ("id", "x"),
    )
    assert "{table.columns} in '{table.columns}': wrong has no columns." in fault(folder, "load_wrong")
    assert f"{folder}/tables/torn.yml is not YAML" in fault(folder, "load_torn")
    assert f"{folder}/tables/none.yml holds no mapping" in fault(folder, "load_none")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("for_each: {a: [x, y]}\nname: same\n", "makes 2 pipelines called same.\nWrite every variable of `for_each`"),
        ("for_each: {a: [x, x]}\n", "line 1: `for_each` has x twice as value of a.\nTake one away."),
        ("name: s\nfor_each: {a: []}\n", "line 2: `for_each` gives a no list of values: []"),
        ("for_each: {a: {b: c}}\n", "gives a no list of values"),
        ("for_each: {}\n", "`for_each` names no variable."),
        ("for_each: [a]\n", "`for_each` names no variable."),
        ("for_each: {a: [[1]]}\n", "that is no text, number or mapping: [1]"),
        ("for_each: {a: [{b: 1}]}\n", "has a value of a without `name`: {'b': 1}"),
        ("for_each: {name: [x]}\n", "has a variable 'name'"),
        ("for_each: {A: [x]}\n", "has a variable 'A'"),
        ("for_each: {a: none/*.yml}\n", "finds no file for a: none/*.yml matches no .yml file in"),
        ("for_each: {a: /tmp/*.yml}\n", "finds no file for a"),
    ],
)  # fmt: skip
def test_variables_that_cannot_be_used_are_said(write: Write, text: str, said: str) -> None:
    """The file's own pipeline is broken, by the name that is known."""
    [entry] = read_folder(write(spec=text))
    assert said in str(entry.error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select: 'tag:{provdr}'\n", "{provdr} in 'tag:{provdr}' names no variable of `for_each`.\nDid you mean pro"),
        ("vars: {x: '{region}'}\n", "{region} in '{region}' names no variable of `for_each`.\nThere are: provider."),
        ("description: 'a {provider.size}'\n", "{provider.size} in 'a {provider.size}': wcm has no size."),
        ("scedule: '@daily'\n", "scedule (line 3): unknown key. Did you mean schedule"),
    ],
)  # fmt: skip
def test_a_place_without_a_variable_is_said(write: Write, text: str, said: str) -> None:
    """A mistyped variable would be a connection, or a tag, that nobody has."""
    folder = write(providers=f"name: load_{{provider}}\nfor_each: {{provider: [wcm]}}\n{text}")
    assert said in fault(folder, "load_wcm")
    assert "providers.yml with provider=wcm" in fault(folder, "load_wcm")


def test_one_broken_file_leaves_the_others(write: Write) -> None:
    """Each fault has its file, and where it can its line and key."""
    folder = write(
        good="{}",
        torn="name: [",
        text="just words",
        typo="owner: me\nretries:\n  models: 1\n  tets: 2\n",
        deep="ingest:\n  - {source: a.b, file: a, key: [id], columns: [id]}\n  - source: a.c\n    file: a\n"
        "    key: id\n    colums: [id]\n",
    )
    (folder / "raw.yml").write_bytes(b"name: \xff")
    (folder / "notes.txt").write_text("no spec")
    (folder / ".hidden.yml").write_text("no spec")
    entries = {one.name: one for one in read_folder(folder)}
    assert sorted(entries) == ["deep", "good", "raw", "text", "torn", "typo"]
    assert [name for name, one in entries.items() if one.spec] == ["good"]
    assert (
        f"{folder}/typo.yml is not valid:\n  retries.tets (line 4): unknown key. Did you mean tests?"
        in fault(folder, "typo")
    )
    assert "ingest.1.colums (line 6): unknown key. Did you mean columns" in fault(folder, "deep")
    assert "text.yml holds no mapping" in fault(folder, "text")
    assert "raw.yml cannot be read" in fault(folder, "raw")
    assert "torn.yml is not YAML" in fault(folder, "torn")


def test_a_fault_in_the_defaults_names_them(write: Write) -> None:
    """Every pipeline of the folder has it."""
    folder = write(defaults="owner: me\nscedule: x\n", shop="{}")
    assert "scedule (line 2 of defaults.yml): unknown key" in fault(folder, "shop")
    write(defaults="name: x\n")
    assert "defaults.yml has `name`, which belongs to one pipeline" in fault(folder, "shop")
    write(defaults="- x\n")
    assert "defaults.yml holds no mapping" in fault(folder, "shop")
    write(defaults="")
    assert list(specs(folder)) == ["shop"]


def test_two_files_with_one_name_are_one_fault(write: Write) -> None:
    """Airflow would show one of them and not say which."""
    folder = write(one="name: shop\n", two="name: shop\n", three="{}")
    assert fault(folder, "shop") == (
        f"Two pipelines are called shop: {folder}/one.yml and {folder}/two.yml.\n"
        "Airflow would show only one of them; rename one."
    )
    assert [one.name for one in read_folder(folder) if one.spec] == ["three"]


def test_a_folder_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    """Airflow shows it as the import error of the loader."""
    with pytest.raises(SpecError, match=f"No folder of pipeline specs at {tmp_path}/none"):
        read_folder(tmp_path / "none")
    with pytest.raises(SpecError, match=f"No pipeline spec in {tmp_path}"):
        read_folder(tmp_path)


def test_a_pipeline_is_found_by_its_name(write: Write) -> None:
    """Wherever it is: by the file's name, by a longer one, in a file of any name, among variables."""
    folder = write(
        shop="{}",
        shop_de="for_each: {c: [x, y]}\n",
        zzz="name: orders\n",
        broken="layerz: {}\n",
    )
    for name in ("shop", "shop_de_x", "shop_de_y", "orders", "broken"):
        entry = find_entry(folder, name)
        assert entry is not None
        assert entry.name == name
    assert find_entry(folder, "nothing") is None


def test_one_dag_takes_one_pipeline(write: Write) -> None:
    """The hint is the line that takes them all."""
    folder = write(shop="for_each: {c: [x, y]}\n")
    with pytest.raises(SpecError, match="makes 2 pipelines, by `for_each`: shop_x, shop_y") as caught:
        read_spec(folder / "shop.yml")
    assert caught.value.hint == 'Write into the DAG file: globals().update(build_dags("shop.yml"))'


def test_a_name_that_airflow_refuses_is_an_entry_that_it_takes(write: Write) -> None:
    """Its DAG has to be shown."""
    folder = write(spec="{}")
    (folder / "my shop!.yml").write_text("{}")
    [entry] = read_file(folder / "my shop!.yml")
    assert (entry.name, entry.spec) == ("my_shop_", None)
    assert "'my shop!' is not a name" in str(entry.error)


def test_a_list_fits_into_no_text_and_a_file_that_is_no_text_has_no_parts(write: Write) -> None:
    """Each breaks its own pipeline."""
    folder = write(
        load="for_each: {t: tables/*.yml}\ndescription: 'has {t.columns}'\n", tables__orders="columns: [id]\n"
    )
    (folder / "tables" / "raw.yml").write_bytes(b"columns: \xff")
    assert "{t.columns} in 'has {t.columns}' stands for a list or a mapping" in fault(folder, "load_orders")
    assert "tables/raw.yml cannot be read" in fault(folder, "load_raw")


def test_lines_are_those_of_the_last_part_that_is_written() -> None:
    """pydantic says more than what stands in the file, such as which form of a value it tried."""
    line = lines_of("a:\n  - b: 1\n    c: 2\nd: 3\n")
    assert [line(path) for path in (("a", 0, "c"), ("a", 0, "x"), ("a", 7), ("d", "int"), ("e",))] == [
        3,
        2,
        1,
        4,
        0,
    ]


@pytest.mark.parametrize("file", ["https://example.com/a.csv", "s3://", "S 3://bucket/a.csv"])
def test_what_is_no_object_storage_is_said(file: str) -> None:
    """A web page is none."""
    ingest = {"source": "lake.a", "file": file, "key": ["id"], "columns": ["id"]}
    with pytest.raises(SpecError, match="is no URL of object storage, such as s3://connection@bucket"):
        Pipeline.parse({"name": "shop", "ingest": [ingest]})
