"""Objects of the association: types of attributes, versions, access rights, and what a pack says of them (SV, AR, C15, SE-23)."""

from __future__ import annotations

from collections.abc import Mapping

from ami_conformance.attribute_types import mismatches, type_of
from ami_conformance.bench import Bench
from ami_conformance.findings import Judge
from ami_conformance.object_list import CURRENT_ASSOCIATION, ListedObject, ObjectList
from ami_dlms.cosem.classes import class_of, class_versions, interface_classes
from ami_dlms.cosem.confidential import SECRET_ATTRIBUTES, is_secret
from ami_dlms.enums import DataAccessResult
from ami_dlms.security import ProtectionFlags

DENIALS = frozenset(
    {DataAccessResult.READ_WRITE_DENIED, DataAccessResult.SCOPE_OF_ACCESS_VIOLATED, DataAccessResult.OBJECT_UNDEFINED}
)
NOT_NOW = frozenset(
    {DataAccessResult.TEMPORARY_FAILURE, DataAccessResult.HARDWARE_FAULT, DataAccessResult.OBJECT_UNAVAILABLE}
)
MOST_NAMED, MOST_TRIED = 40, 5


def types_of_attributes(bench: Bench, judge: Judge) -> None:
    """SV-01: every readable attribute gives a value, of the type that its class has, and its own name as the first attribute."""
    outcomes = bench.scan()
    for one in bench.objects.objects:
        for number, right in one.attributes.items():
            descriptor = one.attribute(number)
            found = outcomes[descriptor]
            if not right.readable:
                continue
            value = found.value
            if value is None:
                if found.result in NOT_NOW or _secret_by_pack(bench, one, number):
                    judge.note(f"{descriptor}: {found.words}")
                    continue
                if not judge.expect(
                    False, f"{descriptor} may be read by the object list, and is answered by {found.words}"
                ):
                    bench.show(descriptor)
                continue
            wrong = (
                []
                if (wanted := type_of(one.class_id, one.version, number)) is None
                else list(mismatches(value, wanted))
            )
            if number == 1 and value.value != bytes(one.obis):
                wrong.append(
                    f"the logical name is {bytes(value.value).hex() if isinstance(value.value, bytes) else value}"
                )
            if not judge.expect(not wrong, f"{descriptor}: {'; '.join(wrong[:4])}"):
                bench.show(descriptor)


def rights_are_true(bench: Bench, judge: Judge) -> None:
    """AR-01: what may be read gives a value, what may not gives a denial."""
    outcomes = bench.scan()
    for one in bench.objects.objects:
        for number, right in one.attributes.items():
            found = outcomes[one.attribute(number)]
            if right.readable:
                holds = found.result not in DENIALS or _secret_by_pack(bench, one, number)
                wrong = f"may be read by the object list, and is denied ({found.words})"
            else:
                holds = found.value is None
                wrong = "may not be read by the object list, and its value is given"
            if not judge.expect(holds, f"{one.attribute(number)} {wrong}"):
                bench.show(one.attribute(number))


def _secret_by_pack(bench: Bench, one: ListedObject, number: int) -> bool:
    """A secret that the pack lists as readable: a meter does well to list it so and to keep it."""
    row = bench.expected.objects.get(one.key)
    return is_secret(one.attribute(number)) and row is not None and number in row.read


def public_sees_little(bench: Bench, judge: Judge) -> None:
    """AR-04: the public client writes nothing, calls nothing, and sees what the pack lets it see."""
    public = bench.public_objects
    for one in public.objects:
        row = bench.expected.objects.get(one.key)
        by_pack = frozenset() if row is None else row.public_write
        writable = {number for number, right in one.attributes.items() if right.writable}
        beyond = ", ".join(map(str, sorted(writable - by_pack)))
        judge.expect(not beyond, f"the public client may write {one}, attributes {beyond}")
        if writable & by_pack:
            judge.document(
                f"the public client may write {one}, attributes {sorted(writable & by_pack)}, and so says the pack"
            )
        called = [str(number) for number, granted in one.methods.items() if granted]
        judge.expect(not called, f"the public client may call {one}, methods {', '.join(called)}")
    _hidden_from_public(bench, judge, public)
    for one in public.objects if bench.expected.objects else ():
        row = bench.expected.objects.get(one.key)
        if row is not None and row.own_choice:
            continue
        allowed = None if row is None else row.public
        readable = {number for number, right in one.attributes.items() if right.readable}
        more = sorted(readable - (allowed or frozenset()))
        judge.expect_pack(
            not more, f"the public client may read {one}, attributes {', '.join(map(str, more))}", _pack(bench)
        )


def _hidden_from_public(bench: Bench, judge: Judge, public: ObjectList) -> None:
    """What the public client does not see it does not read either."""
    hidden = [
        one for one in bench.objects.objects if public.find(*one.key) is None and one.class_id != 15 and one.readable(2)
    ]
    client = bench.public_client()
    client.open()
    for one in [*hidden[:MOST_TRIED], *hidden[-MOST_TRIED:]]:
        if client.wire.closed:
            return
        found = client.get(one.attribute(2))
        judge.expect(found.value is None, f"the public client reads {one}, which is not in its object list")
    client.release()


def object_list_against_pack(bench: Bench, judge: Judge) -> None:
    """AR-05: objects that are missing or too many, versions and rights that the pack has otherwise."""
    bench.needs(bool(bench.expected.objects), "no pack is given to compare with (--pack)")
    listed = {one.key: one for one in bench.objects.objects}
    for key, row in bench.expected.objects.items():
        if not row.listed:
            continue
        if key in listed or row.own_choice:
            judge.expect(True, "")
            continue
        judge.expect_pack(
            False, f"{row.obis} (class {row.class_id}, {row.name}) is missing", row.source or _pack(bench)
        )
    extra = [one for key, one in listed.items() if key not in bench.expected.objects]
    for one in extra[:MOST_NAMED]:
        judge.note(f"{one} is not in the pack")
    for one in listed.values():
        _against_row(bench, judge, one)


def _against_row(bench: Bench, judge: Judge, one: ListedObject) -> None:
    row = bench.expected.objects.get(one.key)
    if row is None or row.own_choice or not row.listed:
        return
    source = row.source or _pack(bench)
    judge.expect_pack(one.version == row.version, f"{one} has version {one.version}, the pack {row.version}", source)
    readable = frozenset(number for number, right in one.attributes.items() if right.readable)
    writable = frozenset(number for number, right in one.attributes.items() if right.writable)
    for word, found, wanted in (("read", readable, row.read), ("written", writable, row.write)):
        if more := sorted(found - wanted):
            judge.expect_pack(False, f"{one}: attributes {more} may be {word}, and by the pack they may not", source)
        if less := sorted(wanted - found):
            judge.expect_pack(False, f"{one}: attributes {less} may not be {word}, and by the pack they may", source)


def modes_are_enforced(bench: Bench, judge: Judge) -> None:
    """AR-06: where the list demands a protected request, a plain one is refused; what the association demands is kept anyway."""
    demanding = [
        (one, number)
        for one in bench.objects.objects
        for number, right in one.attributes.items()
        if right.readable and right.demands
    ]
    bench.needs(bool(demanding), "no right of the object list demands a protection")
    security = bench.way.settings.security
    bench.needs(
        security is None or not security.required.request & ProtectionFlags.AUTHENTICATED,
        "every request of this association is protected anyway",
    )
    one, number = demanding[0]
    client = bench.opened()
    answer = client.get(one.attribute(number)).answer
    judge.expect(not answer.has_data, f"{one.attribute(number)} is read without the protection that its right demands")


def association_lists_itself(bench: Bench, judge: Judge) -> None:
    """C15-01: the list can be read to its last line, the association is in it, and its classes exist in their versions."""
    objects = bench.objects
    judge.expect(not objects.odd, "; ".join(objects.odd[:5]))
    judge.expect(
        any(one.class_id == 15 and one.obis == CURRENT_ASSOCIATION for one in objects.objects),
        f"the current association {CURRENT_ASSOCIATION} is not in its own list",
    )
    for one in objects.objects:
        _class_of_line(judge, one)
        row = bench.expected.objects.get(one.key)
        if row is not None and not row.own_choice:
            judge.expect_pack(
                one.version == row.version, f"{one} has version {one.version}, the pack {row.version}", row.source
            )


def _class_of_line(judge: Judge, one: ListedObject) -> None:
    known = class_versions().get((one.class_id, one.version))
    if known is None:
        newest = interface_classes().get(one.class_id)
        if newest is None or one.version > newest.version:
            judge.note(f"{one} has version {one.version}, of which nothing is known here")
            judge.expect(
                newest is None or one.version < NEWER.get(one.class_id, newest.version + 1),
                f"{one} has version {one.version}; class {one.class_id} has none above {newest.version if newest else 0}",
            )
        return
    beyond = [number for number in one.attributes if not 1 <= number <= len(known.attributes) and number > 0]
    judge.expect(not beyond, f"{one}: version {one.version} has no attributes {beyond}")
    missing = [number for number in range(1, len(known.attributes) + 1) if number not in one.attributes]
    if missing:
        judge.note(f"{one}: attributes {missing} are not listed")


NEWER: Mapping[int, int] = {15: 4, 40: 4, 62: 2, 64: 2, 65: 2, 70: 3, 72: 3}
"""Classes that have versions above those that are described here, and the first one that has not."""


def secrets_are_kept(bench: Bench, judge: Judge) -> None:
    """SE-23: no password and no key can be read."""
    outcomes = bench.scan()
    client = None
    for one in bench.objects.objects:
        for class_id, number in sorted(SECRET_ATTRIBUTES):
            if one.class_id != class_id:
                continue
            descriptor = one.attribute(number)
            found = outcomes.get(descriptor)
            if found is None:
                client = client or bench.opened()
                found = client.get(descriptor)
            secret = found.value is not None and found.value.value not in (b"", "", None, ())
            judge.expect(not secret, f"{descriptor} holds a secret, and its value is given")
    known = class_of(64, 1)
    for one in bench.objects.of_class(64):
        beyond = [n for n in one.attributes if known is not None and n > len(known.attributes)]
        judge.expect(not beyond, f"{one} has attributes beyond those of its class: {beyond}")


def _pack(bench: Bench) -> str:
    return f"pack {bench.expected.pack}, model {bench.expected.model}" if bench.expected.model else bench.expected.pack


TESTS = {
    "SV-01": types_of_attributes,
    "AR-01": rights_are_true,
    "AR-04": public_sees_little,
    "AR-05": object_list_against_pack,
    "AR-06": modes_are_enforced,
    "C15-01": association_lists_itself,
    "SE-23": secrets_are_kept,
}
