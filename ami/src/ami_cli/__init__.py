"""The command line of the AMI reference system: starts, watches, decodes and measures the whole."""

import ami_process as ami_process  # it says what is wrong where the system is none of ours
