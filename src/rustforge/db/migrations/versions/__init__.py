"""The steps of the migrations, in the form that Alembic reads."""
