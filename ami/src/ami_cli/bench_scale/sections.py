"""Which sections there are, in the order of the page. A module is imported when its section is measured."""

from ami_cli.bench_scale.found import Found, Report, Section, Setting


async def _readings(setting: Setting, tell: Report) -> Found:
    from ami_cli.bench_scale.readings import measure

    return await measure(setting, tell)


async def _workers(setting: Setting, tell: Report) -> Found:
    from ami_cli.bench_scale.workers import measure

    return await measure(setting, tell)


async def _dialled_in(setting: Setting, tell: Report) -> Found:
    from ami_cli.bench_scale.dialled_in import measure

    return await measure(setting, tell)


async def _registry(setting: Setting, tell: Report) -> Found:
    from ami_cli.bench_scale.registry import measure

    return await measure(setting, tell)


SECTIONS = {
    "workers": Section("Several workers", _workers, ("store", "engine")),
    "dialled-in": Section("Meters that dial in", _dialled_in, ("store", "engine")),
    "readings": Section("Readings into the store", _readings, ("store",)),
    "registry": Section("Meters in the registry", _registry, ("store",)),
}
"""By the word that chooses one."""
