"""Build-time generation of the CRD, its rules, the roles and the reference."""
