# One image for the migration and the five processes; docker-compose.yml says which is which.
FROM python:3.11-slim AS packages
COPY requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements.txt

# The browser libraries, checked against the lock file; nothing of infra/ goes on.
FROM packages AS vendor
WORKDIR /srv
COPY infra infra
RUN /opt/venv/bin/python -m infra setup --browser

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /srv chime \
    && install -d -o chime /var/lib/chime
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    APP_MODE=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    LOG_FORMAT=json \
    DATA_DIR=/var/lib/chime
COPY --from=packages /opt/venv /opt/venv
COPY alembic.ini gunicorn.conf.py ./
COPY migrations migrations
COPY jinja jinja
COPY --from=vendor /srv/jinja/static/vendor jinja/static/vendor
COPY docs/socket-api.md docs/socket-api.md
COPY workers workers
COPY blueprints blueprints
COPY app app
USER 10001
EXPOSE 8000
CMD ["gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]
