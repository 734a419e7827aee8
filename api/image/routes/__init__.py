"""Image's URLs."""

from api.http.faults import image_fault
from api.http.wiring import Service
from api.image.routes import data, host_upload, images, imports, members, metadefs
from api.image.routes.base import blueprint

__all__ = ["SERVICE", "data", "host_upload", "images", "imports", "members", "metadefs"]

SERVICE = Service("image", "image", blueprint, image_fault)
