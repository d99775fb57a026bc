"""What the stages share that learn from the teacher towns' camera images and their exact semantics."""
