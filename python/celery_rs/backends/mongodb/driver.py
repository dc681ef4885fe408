"""pymongo, from here for the whole store: who lacks it is told what to install."""

from typing import TYPE_CHECKING

from celery_rs.serializers import library

if TYPE_CHECKING:
    import bson
    import bson.errors
    import pymongo
    from bson import raw_bson
    from bson.codec_options import CodecOptions
    from pymongo import errors, uri_parser
else:
    _NEEDED = ("the result store mongodb://", "mongodb")
    bson = library("bson", *_NEEDED)
    pymongo = library("pymongo", *_NEEDED)
    errors = library("pymongo.errors", *_NEEDED)
    raw_bson = library("bson.raw_bson", *_NEEDED)
    CodecOptions = library("bson.codec_options", *_NEEDED).CodecOptions
    uri_parser = library("pymongo.uri_parser", *_NEEDED)

__all__ = ["CodecOptions", "bson", "errors", "pymongo", "raw_bson", "uri_parser"]
