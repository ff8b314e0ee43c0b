"""What requests carry: tensors in JSON and in binary, pictures, the Open Inference Protocol."""
