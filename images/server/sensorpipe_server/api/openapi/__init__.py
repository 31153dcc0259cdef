"""What the OpenAPI document and the code share: parameters, forms of answers, operations."""
