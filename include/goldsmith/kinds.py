"""dbt's resource types, as its manifest names them."""

from __future__ import annotations

TEST_KINDS = ("test", "unit_test")
RELATIONS = ("model", "seed", "snapshot")
"""What may leave a table or a view behind."""
EXECUTABLE = (*RELATIONS, "function", *TEST_KINDS)
"""What `dbt build` builds or runs; of saved queries and exposures dbt Core runs nothing (`NO-OP`)."""
NOT_EXECUTABLE = (
    *("source", "exposure", "analysis", "operation", "sql_operation", "macro", "doc", "group", "fixture"),
    *("metric", "saved_query", "semantic_model"),
)
"""dbt's other resource types (dbt-core 1.12, `NodeType`); a source can have a freshness check."""
