"""What reads studies and recordings for exported graphs where gluon_liver is not: it is copied beside them.

Nothing here imports the rest of gluon_liver, or more than Python 3.8, numpy and onnxruntime (of DICOM pydicom, of
videos cv2). :func:`.main.main` is the program, which ``predict.py`` of an export calls.
"""
