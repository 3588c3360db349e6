# The demo as a container:
#   docker build -t daah .
#   docker run -p 7860:7860 -v daah-galleries:/app/galleries daah
FROM python:3.12-slim
# Whoever opens the port is a stranger: what serves them may write to the gallery and to /tmp alone.
RUN useradd --create-home --uid 1000 daah
WORKDIR /app
COPY requirements.txt requirements-milvus.txt .
RUN pip install --no-cache-dir -r requirements.txt -r requirements-milvus.txt
COPY . .
# Galleries are made here, by the user that serves them: the built-in one at the first start.
RUN install -d -o daah -g daah galleries
# Settings default to a public host.
ENV DAAH_GALLERY_FOLDER=galleries GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 \
    PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib
USER daah
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=3m \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['GRADIO_SERVER_PORT'] + '/health', timeout=8)"]
CMD ["python", "app.py"]
