"""Nets as files that run without archc, and mostly without torch: ONNX, torch.export, OpenVINO."""
