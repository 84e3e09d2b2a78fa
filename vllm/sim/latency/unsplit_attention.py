"""What attention costs where one kernel does a step's prefills and decodes, keys unsplit.

vLLM runs FlashAttention 2 on Ampere, Ada and RTX Blackwell. A step of decodes alone splits the
keys of a request over many thread blocks; with a prefill in the step it does not, and reads them
once for each query head. Both numbers are from RTX PRO 6000 under vLLM 0.19, with long contexts.
On Hopper (FlashAttention 3) and B200 (FlashInfer) nothing of the kind has been measured.
"""

from __future__ import annotations

from ..devices.device import Device

MIXED_DECODE_FACTOR = 1.67  # of decode attention's time, beside a prefill: 1.6 to 2.0
KEY_WALK_US = 0.022  # per layer and key: a thread block walking along the keys of a prefill

_MAJOR_CAPABILITIES = (8, 12)


def is_unsplit(device: Device) -> bool:
    capability = device.compute_capability
    return capability is not None and capability[0] in _MAJOR_CAPABILITIES
