"""All studies that have a notebook."""

from perfkit.studies import compare, engines, published, sweep

CATALOGUE = {study.name: study for study in (sweep.STUDY, compare.STUDY, engines.STUDY, published.STUDY)}
