"""`goldsmith init`: look at a repository, propose a pipeline for its dbt project, write only what is missing."""
