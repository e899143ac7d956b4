"""Exported networks, and the programs that are added to them."""

from models.export import HOT_FORMS, export_network, export_programs
from tests import networks


def export(path, network):
    real = networks.random_events(2, 6)
    export_network(network, networks.EVENTS, networks.LABEL, path, real=real)


def add_programs(path, network, forms=HOT_FORMS[:1], **options):
    real = networks.random_events(2, 6)
    schemas = networks.EVENTS, networks.LABEL
    return export_programs(network, *schemas, path, real=real, forms=forms, **options)
