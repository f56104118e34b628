"""What to drive next: drives that tell most about chosen parameters, and what driven ones have told."""
