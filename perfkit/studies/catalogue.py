"""All studies that have a notebook."""

from perfkit.studies import commit, compare, engines, published, sweep

CATALOGUE = {study.name: study for study in (sweep.STUDY, compare.STUDY, engines.STUDY, commit.STUDY, published.STUDY)}
