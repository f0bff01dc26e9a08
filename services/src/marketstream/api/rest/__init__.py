"""The REST endpoints: routes, queries, views and their OpenAPI document."""
