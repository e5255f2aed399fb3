"""Label tables of every kind give the same four columns, and a hostile one gives one line."""

import io
import pickle

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prism.errors import InputError
from prism.records import labels
from prism.records.archives import members
from prism.records.labels import SUFFIXES, read_labels

HEADER = ",name,version,level,Status,Reason,full_hash,hash,Num Successes"
CSV = f"""{HEADER}
aa,abyss,2.3.1,0,SUCCESS,Not Scheduled,aa,xx,0
bb,abyss,2.3.1,0,FAILED,Root Failure,bb,yy,0
cc,abyss,1.10,0,FAILED,,cc,"z,""
z",0
"""
ROWS = {
    "hash": ["aa", "bb", "cc"],
    "package": ["abyss"] * 3,
    "status": ["SUCCESS", "FAILED", "FAILED"],
    "reason": ["Not Scheduled", "Root Failure", None],
}


def frame(**columns) -> pd.DataFrame:
    given = {
        "name": ["abyss"] * 3,
        "level": [0, 1, 2],
        "Status": ROWS["status"],
        "Reason": ROWS["reason"],
        "full_hash": ROWS["hash"],
        "took": [1.5, 2.0, float("nan")],
        "ok": [True, False, False],
        "dependencies": [["x"], [], ["y", "z"]],
    }
    return pd.DataFrame(given | columns, index=["aa", "bb", "cc"])


def refused(data: bytes, suffix: str, *says: str) -> str:
    with pytest.raises(InputError) as error:
        read_labels("labels.tar: abyss", data, suffix)
    message = str(error.value)
    assert message.startswith("labels.tar: abyss: ")
    assert "\n" not in message
    for text in says:
        assert text in message
    return message


# ---------------------------------------------------------------------------------------- CSV


def test_csv():
    table = read_labels("abyss.csv", CSV.encode(), ".csv")
    assert table.schema == pa.schema(
        [(name, pa.string()) for name in ("hash", "package", "status", "reason")]
    )
    assert table.to_pydict() == ROWS
    for other in (CSV.replace("\n", "\r\n"), "\ufeff" + CSV, CSV + "\n", CSV.rstrip("\n")):
        assert read_labels("abyss.csv", other.encode(), ".csv").num_rows == 3


def test_csv_without_full_hash_takes_the_first_column():
    text = CSV.replace("full_hash", "other")
    assert read_labels("abyss.csv", text.encode(), ".csv").to_pydict() == ROWS
    refused(text.replace(",name", "index,name", 1).encode(), ".csv", "no column 'full_hash'")


def test_csv_of_a_header_alone_has_no_rows():
    assert read_labels("heffte.csv", f"{HEADER}\n".encode(), ".csv").num_rows == 0


@pytest.mark.parametrize("name", ["name", "Status", "Reason"])
def test_csv_without_a_column(name):
    text = CSV.replace(f",{name},", ",x,", 1).encode()
    refused(text, ".csv", f"no column '{name}'", "'x'", "'full_hash'", "name, Status, Reason")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "no column"),
        (CSV.encode() + b"dd,abyss\n", "line 6: not CSV: 2 cells, expected 9"),
        (CSV.encode() + b"1,2,3,4,5,6,7,8,9,10\n", "line 6: not CSV: 10 cells, expected 9"),
        (CSV.encode() + b'dd,"abyss,2,0,FAILED,,dd,x,0\n', "line 6: not CSV"),
        (CSV.encode() + b'dd,"ab"yss,2,0,FAILED,,dd,x,0\n', "line 6: not CSV"),
        (CSV.encode() + b"dd,\xff,2,0,FAILED,,dd,x,0\n", "line 6: not UTF-8"),
        (CSV.replace("level", "Status").encode(), "column 'Status' stands there twice"),
        (b"PK\3\4 something else", "no column"),
    ],
)
def test_what_is_not_csv(text, says):
    refused(text, ".csv", says)


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=9, max_size=9),
        max_size=6,
    )
)
def test_csv_as_pandas_reads_it(rows):
    rows = [[row[0], "x", *row[2:]] for row in rows]  # a row of blanks alone is no row
    data = pd.DataFrame(rows, columns=HEADER.split(","), dtype=object)
    text = data.to_csv(index=False, lineterminator="\n", quoting=1)
    found = read_labels("x", text.encode(), ".csv").to_pydict()
    assert found["hash"] == data["full_hash"].tolist()
    assert found["package"] == data["name"].tolist()
    assert found["status"] == data["Status"].tolist()
    assert found["reason"] == [reason or None for reason in data["Reason"]]


def test_published_labels(published):
    path = published("rainbow-experiments-3e3ad136.tar.zst")
    tables = [
        read_labels(name, data, ".csv")
        for name, data in members(path, lambda name: "/labels/" in name)
    ]
    rows = pa.concat_tables(tables)
    assert len(tables) == 51
    assert rows["status"].to_pylist().count("SUCCESS") == 10502
    assert (
        list(zip(rows["status"], rows["reason"], strict=True)).count(
            (pa.scalar("FAILED"), pa.scalar("Root Failure"))
        )
        == 4174
    )


# ------------------------------------------------------------------------------------ parquet


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_parquet():
    for data in (frame(), frame().astype({"Status": "category", "name": object})):
        out = io.BytesIO()
        data.to_parquet(out)
        assert read_labels("x", out.getvalue(), ".parquet").to_pydict() == ROWS
        out = io.BytesIO()
        data.drop(columns="full_hash").to_parquet(out)
        assert read_labels("x", out.getvalue(), ".parquet").to_pydict() == ROWS
    nothing = pa.table({name: [] for name in ("full_hash", "name", "Status", "Reason")})
    assert read_labels("x", parquet(nothing), ".parquet").num_rows == 0


def test_what_is_not_parquet(monkeypatch):
    refused(b"", ".parquet", "not a parquet table")
    refused(CSV.encode(), ".parquet", "not a parquet table")
    out = io.BytesIO()
    frame().reset_index(drop=True).drop(columns="full_hash").to_parquet(out)
    refused(out.getvalue(), ".parquet", "no column 'full_hash'")
    whole = parquet(pa.table({"full_hash": ["a"], "name": ["b"], "Status": ["c"], "Reason": ["d"]}))
    assert read_labels("x", whole, ".parquet").num_rows == 1
    for size in range(0, len(whole), 7):
        refused(whole[:size], ".parquet", "not a parquet table")
    refused(parquet(pa.table({"name": ["b"]})), ".parquet", "no column 'full_hash'", "'name'")
    nested = pa.table({"full_hash": [["a"]], "name": ["b"], "Status": ["c"], "Reason": ["d"]})
    refused(parquet(nested), ".parquet", "not a parquet table of texts")
    monkeypatch.setattr(labels, "LARGEST", 0)
    refused(whole, ".parquet", "1 rows")


def test_suffixes():
    assert SUFFIXES == (".csv", ".parquet", ".pkl", ".pickle")
    for suffix in (".pkl", ".pickle"):
        assert read_labels("x", pickle.dumps(frame()), suffix).to_pydict() == ROWS
