"""Networks: tensors in, tensors out, no data input or output."""
