"""Runs KQL queries over log records, with an engine that is no part of Concord (duckdb-kql).

In, on stdin: {"records": [[time, message, count], ...], "queries": {name: text}}.
Out, on stdout: {name: [row as an object, ...]}.
"""

import json
import sys

import duckdb_kql

asked = json.load(sys.stdin)
engine = duckdb_kql.connect()
engine.sql(
    "CREATE TABLE AppTraces (TimeGenerated TIMESTAMP, Message VARCHAR, ItemCount BIGINT, SeverityLevel INTEGER)"
)
engine.executemany("INSERT INTO AppTraces VALUES (?, ?, ?, 1)", asked["records"])
told = {}
for name, text in asked["queries"].items():
    result = duckdb_kql.query(engine, text)
    columns = result.columns
    told[name] = [dict(zip(columns, row)) for row in result.fetchall()]
json.dump(told, sys.stdout, default=str)
