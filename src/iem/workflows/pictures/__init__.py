"""Pictures of molecules, and a frozen teacher that looks at them."""
