"""All studies that have a notebook."""

from perfkit.studies import commit, compare, crossover, engines, published, sweep

STUDIES = (sweep.STUDY, compare.STUDY, engines.STUDY, commit.STUDY, crossover.STUDY, published.STUDY)

CATALOGUE = {study.name: study for study in STUDIES}
