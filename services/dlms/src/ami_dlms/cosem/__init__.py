"""The COSEM object model: descriptors, selective access, interface classes, scaled quantities and profile buffers."""
