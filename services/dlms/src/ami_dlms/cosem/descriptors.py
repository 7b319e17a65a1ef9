"""Cosem-Attribute-Descriptor and Cosem-Method-Descriptor (IEC 62056-5-3): what a service is about."""

from __future__ import annotations

from ami_dlms.frozen import frozen
from ami_dlms.obis import Obis


@frozen
class AttributeDescriptor:
    """One attribute of one object; attribute 0 stands for all of them."""

    class_id: int
    instance_id: Obis
    attribute_id: int

    def __str__(self) -> str:
        return f"class {self.class_id} {self.instance_id} attribute {self.attribute_id}"


@frozen
class MethodDescriptor:
    """One method of one object."""

    class_id: int
    instance_id: Obis
    method_id: int

    def __str__(self) -> str:
        return f"class {self.class_id} {self.instance_id} method {self.method_id}"
