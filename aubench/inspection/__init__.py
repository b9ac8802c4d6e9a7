"""What a trained model sees and keeps: decoding, swaps, attention, faces built to ask one question."""
