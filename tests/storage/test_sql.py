"""The SQL stays within what SQLite 3.31 knows, the oldest on a Venus device."""

import ast
import re
from pathlib import Path

import pytest

from storage.database import MIGRATIONS

ROOT = Path(__file__).resolve().parent.parent.parent
NEWER = {
    "STRICT tables (3.37)": r"\)\s*(WITHOUT\s+ROWID\s*,\s*)?STRICT\b",
    "RETURNING (3.35)": r"\bRETURNING\b",
    "DROP COLUMN (3.35)": r"\bALTER\s+TABLE\s+\S+\s+DROP\b",
    "UPDATE FROM (3.33)": r"\bUPDATE\s+(OR\s+\w+\s+)?\S+\s+SET\b[^;()]*\bFROM\b",
    "-> and ->> (3.38)": r"->",
    "unixepoch (3.38)": r"\bunixepoch\s*\(",
    "iif (3.32)": r"\biif\s*\(",
    "MATERIALIZED (3.35)": r"\bMATERIALIZED\b",
    "IS DISTINCT FROM (3.39)": r"\bIS\s+(NOT\s+)?DISTINCT\s+FROM\b",
    "RIGHT and FULL JOIN (3.39)": r"\b(RIGHT|FULL)\s+(OUTER\s+)?JOIN\b",
    "mathematical functions (3.35)": r"\b(ceil|floor|ln|log|mod|pow|power|sqrt|trunc|sign)\s*\(",
    "format and string functions (3.38)": r"\b(format|concat|concat_ws|string_agg|octet_length|unhex|timediff)\s*\(",
    "date modifiers (3.38)": r"'(auto|julianday|subsec|subsecond)'",
    "digit separators (3.46)": r"\b\d+_\d",
    "PRAGMA table_list (3.37)": r"\btable_list\b",
}
STATEMENT = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|PRAGMA|WITH|BEGIN)\b")


def newer_than_3_31(sql):
    """The names of what *sql* uses and SQLite 3.31 does not know."""
    sql = re.sub(r"--[^\n]*", "", sql)
    return [name for name, pattern in NEWER.items() if re.search(pattern, sql, re.IGNORECASE)]


def sql_in(source):
    """The SQL texts in a Python module: literals, joined where Python joins them, that begin a statement."""
    tree = ast.parse(source)
    docstrings = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            for statement in body:
                if isinstance(statement, ast.Expr):
                    docstrings.add(id(statement.value))
    literals = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [n.value for n in literals if id(n) not in docstrings]


@pytest.mark.parametrize("file", sorted(MIGRATIONS.glob("*")), ids=lambda file: file.name)
def test_migrations_are_plain(file):
    """A migration is numbered SQL that SQLite 3.31 runs, and ends so that its record can follow."""
    assert re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", file.name)
    sql = file.read_text(encoding="utf-8")
    assert newer_than_3_31(sql) == []
    assert sql.endswith(";\n")
    assert not re.search(r"^\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|END)\s*;", sql, re.IGNORECASE | re.MULTILINE) or (
        "CREATE TRIGGER" in sql
    )


def test_migrations_are_numbered_without_gaps():
    """Forward only, one number each."""
    numbers = [int(file.name[:4]) for file in sorted(MIGRATIONS.glob("*.sql"))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("file", sorted((ROOT / "storage").glob("*.py")), ids=lambda file: file.name)
def test_modules_are_plain(file):
    """No statement in the code needs a newer SQLite."""
    for sql in sql_in(file.read_text(encoding="utf-8")):
        assert newer_than_3_31(sql) == [], sql


def test_the_scan_sees_the_statements():
    """The modules have SQL, and the scan reads it."""
    found = [sql for file in (ROOT / "storage").glob("*.py") for sql in sql_in(file.read_text(encoding="utf-8"))]
    assert sum(1 for sql in found if STATEMENT.search(sql)) > 20


PLANTED = [
    "CREATE TABLE a (b INTEGER) STRICT;",
    "CREATE TABLE a (b INTEGER PRIMARY KEY) WITHOUT ROWID, STRICT",
    "INSERT INTO a VALUES (1) RETURNING b",
    "ALTER TABLE a DROP COLUMN b",
    "ALTER TABLE a DROP b",
    "UPDATE a SET b = c.d FROM c WHERE c.id = a.id",
    "SELECT payload ->> 'battery' FROM event",
    "SELECT payload -> '$.battery' FROM event",
    "SELECT unixepoch('now')",
    "SELECT iif(a, 1, 2)",
    "WITH a AS MATERIALIZED (SELECT 1) SELECT * FROM a",
    "SELECT a IS NOT DISTINCT FROM b",
    "SELECT * FROM a FULL OUTER JOIN b",
    "SELECT floor(a)",
    "SELECT format('%d', a)",
    "SELECT datetime(a, 'auto')",
    "SELECT 1_000",
    "PRAGMA table_list",
]


@pytest.mark.parametrize("sql", PLANTED)
def test_the_scan_finds_what_is_newer(sql):
    """Each newer construct is found in SQL and in a Python literal."""
    assert len(newer_than_3_31(sql)) == 1
    assert [newer_than_3_31(text) for text in sql_in("def f(db) -> None:\n    db.execute({!r})\n".format(sql))] == [
        newer_than_3_31(sql)
    ]


ALLOWED = [
    "UPDATE a SET b = 1 WHERE c IN (SELECT d FROM e)",
    "SELECT strftime('%s', 'now') -- unixepoch() is newer",
    "CREATE TABLE strictly (returning_at INTEGER)",
    "INSERT INTO a VALUES (1) ON CONFLICT (b) DO UPDATE SET b = 2",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_the_scan_lets_pass_what_is_old(sql):
    """What only looks new is no find."""
    assert newer_than_3_31(sql) == []
