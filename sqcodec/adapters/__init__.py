"""A codec behind the interfaces of others, a file each. Each file needs the package whose interface it implements."""
