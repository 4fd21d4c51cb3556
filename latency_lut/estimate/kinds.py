"""PyTorch's operators by the kind of work they are on an accelerator, and those that are no work at all."""

from __future__ import annotations

CONVOLUTIONS = ("dense", "pointwise", "grouped", "depthwise", "transposed")

_NAMES = {
    "linear": "addmm mm",
    "matmul": "bmm baddbmm",
    "softmax": "_softmax _safe_softmax _log_softmax",
    "norm": "native_layer_norm native_group_norm _fused_rms_norm linalg_vector_norm",
    "batch_norm": "native_batch_norm cudnn_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training",
    "mean": "mean sum amax amin max min argmax prod var std var_mean logsumexp cumsum",
    "pool": "avg_pool2d max_pool2d_with_indices _adaptive_avg_pool2d adaptive_max_pool2d im2col col2im",
    "relu": "relu clamp clamp_min clamp_max hardtanh leaky_relu threshold _prelu_kernel",
    "smooth": "gelu silu mish hardswish sigmoid hardsigmoid tanh elu softplus log_sigmoid_forward exp log erf",
    "elementwise": "add sub rsub mul div pow sqrt rsqrt reciprocal neg abs sign sin cos square maximum minimum addcmul "
    "addcdiv lerp floor round where masked_fill eq ne lt le gt ge logical_not logical_and",
    "resize": "upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa grid_sampler_2d "
    "_upsample_nearest_exact2d",
    "concat": "cat stack constant_pad_nd reflection_pad2d replication_pad2d repeat",
    "split": "slice select split split_with_sizes unsafe_split unsafe_split_with_sizes unsafe_chunk chunk unbind",
    "transpose": "permute transpose t roll flip index index_select gather unfold pixel_shuffle pixel_unshuffle "
    "channel_shuffle native_channel_shuffle",
    "reshape": "view _unsafe_view reshape _reshape_alias",
}

KIND_OF = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""PyTorch's names without namespace, overload and the mark of an operator in place."""

BATCHED = {"matmul": "batched_matmul", "softmax": "batched_softmax"}
"""The same for several at once, as the heads or the windows of an attention are."""

KINDS = (*CONVOLUTIONS, *_NAMES, *BATCHED.values())

_NOT_WORK = """
clone alias expand expand_as unsqueeze squeeze detach contiguous copy _to_copy lift_fresh as_strided dropout
native_dropout empty empty_like zeros zeros_like ones ones_like full full_like new_empty new_zeros new_ones new_full
arange scalar_tensor fill zero set resize any all _assert_async
"""
NOT_WORK = frozenset(_NOT_WORK.split())
"""Other names for the same numbers, constants, and what is absent in evaluation."""
